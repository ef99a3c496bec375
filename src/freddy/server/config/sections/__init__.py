"""The tables of the settings file, a module for each subject; `settings` names the module of each table."""
