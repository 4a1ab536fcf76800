"""What runs inside a zone: standard library only, no import from the rest of localdc."""
