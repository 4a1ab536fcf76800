"""The service management facility of a zone: repository, restarter and their commands.

Standard library only, and little of that: ``svc.startd`` runs in every zone and the commands
run hundreds of times, so modules that cost megabytes or milliseconds to import (``typing``,
``dataclasses``, ``subprocess``) are left out on purpose.
"""
