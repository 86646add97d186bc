# The folder providers/postgres is installed under this name (see pyproject.toml).
from providers.postgres import *
