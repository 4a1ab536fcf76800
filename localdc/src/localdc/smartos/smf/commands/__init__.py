"""svcs, svcadm, svcprop, svccfg and the commands that halt a zone."""
