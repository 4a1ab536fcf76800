"""What Pythons of pkgsrc run when they start."""
