"""What an account may do: keys, sub-users, roles, policies, limits."""
