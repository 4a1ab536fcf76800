"""From bytes to a verified call, and from an answer to bytes."""
