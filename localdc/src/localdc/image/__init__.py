"""What a zone sees of its image: the layer over /usr and the root file system."""

from localdc.image.host import ImageError
from localdc.image.layer import Layer, build_layer
from localdc.image.root import configure_root, create_root, zone_hostname

__all__ = ["ImageError", "Layer", "build_layer", "configure_root", "create_root", "zone_hostname"]
