"""Why an engine ended, in words for the operator: a reason, a cure, and whether to try again."""

from dataclasses import dataclass

from freddy.server.providers.embedded.child import Death

SIGABRT, SIGILL, SIGKILL = -6, -4, -9
ILLEGAL_INSTRUCTION = 0xC000001D
OTHER_SERVER = "or set up a model of another provider or an OpenAI-compatible server"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    reason: str
    cure: str
    lasting: bool = False
    """Another try would end the same way."""


def diagnose(death: Death, model: str) -> Diagnosis:
    if death.stage == "import":
        return _missing(death.detail)
    if death.stage == "launch":
        return _memory(f"the system did not let the engine's process start ({death.detail})")
    if death.code in {SIGILL, ILLEGAL_INSTRUCTION}:
        return Diagnosis(
            "the processor lacks instructions that the engine needs (AVX2, FMA, F16C, BMI2)",
            f"run the gateway on a newer processor, {OTHER_SERVER}",
            lasting=True,
        )
    said = f"{death.detail}\n{death.tail}".lower()
    if any(sign in said for sign in ("failed to allocate", "out of memory", "bad_alloc")):
        return _memory("the engine could not get the memory that it asked for")
    if death.code == SIGKILL:
        return _memory("the engine was killed from outside, most often for want of memory")
    if death.code is None:
        return Diagnosis(
            "the engine was not ready in time",
            "give it more time, more processor, or a smaller model",
        )
    if death.stage == "start":
        return _start(said, model)
    return Diagnosis(
        f"the engine ended unexpectedly ({_exit(death.code)})",
        "it is started again by itself; if this goes on, try another model file",
    )


def _missing(detail: str) -> Diagnosis:
    if "libgomp" in detail:
        return Diagnosis(
            "the library libgomp.so.1 is missing",
            "install it: package libgomp1 on Debian and Ubuntu, libgomp on Fedora and others",
            lasting=True,
        )
    if "No module named" in detail:
        return Diagnosis(
            "the engine is not installed, or has no build for this platform",
            f"install freddy-gateway[embedded], {OTHER_SERVER}",
            lasting=True,
        )
    if "GLIBC" in detail:
        cure = f"use a newer system, {OTHER_SERVER}"
        return Diagnosis("the system's C library is too old for the engine", cure, lasting=True)
    if "DLL load failed" in detail:
        cure = "install the Microsoft Visual C++ Redistributable (x64)"
        return Diagnosis("a system library of the engine is missing", cure, lasting=True)
    return Diagnosis(
        "the engine's library cannot be loaded",
        f"install freddy-gateway[embedded] again, {OTHER_SERVER}",
        lasting=True,
    )


def _start(said: str, model: str) -> Diagnosis:
    if "couldn't bind" in said:
        return Diagnosis(
            "the engine could not open its socket",
            "make the folder for temporary files writable",
        )
    if "unknown model architecture" in said or "unknown pre-tokenizer" in said:
        return Diagnosis(
            f"the engine does not know the kind of model in {model!r}",
            "choose another model file, or update freddy-gateway",
            lasting=True,
        )
    return Diagnosis(
        f"the model file of {model!r} is broken or no GGUF file",
        f"fetch it again: freddy models rm {model}, then freddy models pull {model}",
        lasting=True,
    )


def _memory(reason: str) -> Diagnosis:
    return Diagnosis(reason, "free memory, or choose a smaller model, context or cache")


def _exit(code: int) -> str:
    if code == SIGABRT:
        return "aborted"
    return f"signal {-code}" if code < 0 else f"exit code {code}"
