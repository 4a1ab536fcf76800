"""The parts of sdc_machine."""
