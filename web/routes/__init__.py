"""Addresses: one blueprint per module."""
