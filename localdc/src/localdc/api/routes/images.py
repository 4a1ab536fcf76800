"""Images (sdc-cloudapi, docs/index.md, Images), and datasets as clients of 2013 know them."""

from __future__ import annotations

from localdc.api import lookup
from localdc.api.catalogue import Image
from localdc.api.errors import not_found
from localdc.api.http.call import Answer, Call, Route
from localdc.api.http.versions import Version
from localdc.api.routes.packages import matches
from localdc.api.values import text

_FILTERS = ("name", "os", "version", "public", "owner", "type")


def view(image: Image, version: Version) -> dict[str, object]:
    kind = image.type
    if version < (8, 0, 0):
        kind = "virtualmachine" if image.type == "zvol" else "smartmachine"
    entry: dict[str, object] = {
        "id": image.id,
        "name": image.name,
        "version": image.version,
        "os": image.os,
        "requirements": dict(image.requirements),
        "type": kind,
        "description": image.description,
        "files": [{"compression": "gzip", "size": image.size}],
        "tags": dict(image.tags),
        "homepage": image.homepage,
        "published_at": image.published_at,
    }
    if version >= (7, 1, 0):
        entry.update(owner=image.owner, public=image.public, state=image.state)
    return entry


def list_images(call: Call) -> Answer:
    state = text(call.params, "state") or "active"
    # In this order the triton command takes the newest of a name.
    known = sorted(call.center.settings.images, key=lambda image: image.published_at)
    images = [image for image in known if state in ("all", image.state)]
    full = [(view(i, (9, 0, 0)), view(i, call.version)) for i in images]
    for name in _FILTERS:
        wanted = text(call.params, name)
        if wanted is not None:
            if name == "type" and wanted == "smartmachine":
                wanted = "zone-dataset"
            full = [pair for pair in full if matches(pair[0], name, wanted)]
    return Answer.json([entry for _, entry in full])


def get(call: Call) -> Answer:
    wanted = call.args["image"]
    for image in call.center.settings.images:
        if image.id == wanted.lower():
            return Answer.json(view(image, call.version))
    raise not_found(f"{wanted} not found")


def dataset_view(image: Image) -> dict[str, object]:
    return {
        "id": image.id,
        "urn": image.urns[0] if image.urns else f"sdc:sdc:{image.name}:{image.version}",
        "name": image.name,
        "os": image.os,
        "type": "virtualmachine" if image.type == "zvol" else "smartmachine",
        "version": image.version,
        "description": image.description,
        "default": False,
        "created": image.published_at,
    }


def list_datasets(call: Call) -> Answer:
    images = [image for image in call.center.settings.images if image.state == "active"]
    return Answer.json([dataset_view(image) for image in images])


def get_dataset(call: Call) -> Answer:
    image = lookup.image(call.center.settings, call.args["image"])
    if image is None:
        raise not_found(f"{call.args['image']} not found")
    return Answer.json(dataset_view(image))


ROUTES = (
    Route("GET", "/:account/images", list_images),
    Route("GET", "/:account/images/:image", get),
    Route("GET", "/:account/datasets", list_datasets),
    Route("GET", "/:account/datasets/:image", get_dataset),
)
