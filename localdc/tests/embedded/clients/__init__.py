"""The `triton` command and the sdc-* commands, as users have them."""
