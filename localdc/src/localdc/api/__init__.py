"""CloudAPI of the embedded data center: HTTP, authentication, state and the machine engine."""
