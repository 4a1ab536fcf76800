"""The command line: one module for each thing that a user asks for."""
