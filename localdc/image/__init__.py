"""What a zone sees of its image: the layer over /usr and the root file system."""

from localdc.image.layer import ImageError, Layer, build_layer
from localdc.image.root import configure_root, create_root

__all__ = ["ImageError", "Layer", "build_layer", "configure_root", "create_root"]
