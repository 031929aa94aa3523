"""What the forms of both backends ask of layers."""


def normalizes_last_axis(layer):
    """Say whether a batch normalization is the ordinary one of feature maps: over channels last, with both weights."""
    maps = layer.axis in (-1, 3) and layer.input_spec is not None and layer.input_spec.ndim == 4
    return maps and layer.scale and layer.center and not layer.synchronized and not layer.renorm
