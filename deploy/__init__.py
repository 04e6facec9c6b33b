"""Kotae on several processes and machines: container image, compose, Kubernetes, and a form that runs here."""
