# The folder providers/sqlite is installed under this name (see pyproject.toml).
from providers.sqlite import *
