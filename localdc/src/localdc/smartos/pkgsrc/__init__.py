"""pkgin and the pkg_install tools as a zone has them: `pkgin` and `pkg_info`."""
