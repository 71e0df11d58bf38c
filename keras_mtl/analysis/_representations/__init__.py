"""Similarities of representations: `_cka` by inner products of rows, `_rsa` by their distances."""
