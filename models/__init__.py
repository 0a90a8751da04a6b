"""Variational autoencoders on 28x28 images: pure machine learning, knows nothing of sweeps."""
