"""svc.startd, pid 1 of a zone: repository, restarter and the door for their clients."""
