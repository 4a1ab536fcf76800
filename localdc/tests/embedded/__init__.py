"""Embedded data centers for the tests of both houses, and what these tests share."""
