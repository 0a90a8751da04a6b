"""Trials: which a sweep file asks for, how they are named, and what the store has of them."""
