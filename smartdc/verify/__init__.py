"""A real data center beside the embedded one: what each answers to a table of probes."""
