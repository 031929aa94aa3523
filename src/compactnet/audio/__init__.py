"""Sound files and spectrograms with NumPy, SciPy and soundfile alone, for training and for devices."""
