"""A round of the soak: runs under way together while processes, connections and Valkey come and go."""

from durability_soak import drawn, play


async def test_faults_at_random_lose_nothing():
    await play(drawn(2))
