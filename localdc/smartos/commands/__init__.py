"""Commands an operator expects in a zone that belong neither to SMF, pkgsrc nor mdata."""
