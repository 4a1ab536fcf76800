"""What becomes of machines: jobs, placement, networks, names, firewalls, volumes."""
