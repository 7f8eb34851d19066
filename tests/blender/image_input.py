"""Which image is taken, and what of it reaches the backend as a file; no datablock changes."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from common import counts, install, module, refused

WIDTH, HEIGHT = 6, 4


def read(path: Path) -> np.ndarray:
    """The pixels of an image file as bytes, bottom row first, by Blender itself."""
    image = bpy.data.images.load(str(path))
    values = np.empty(WIDTH * HEIGHT * image.channels, np.float32)
    image.pixels.foreach_get(values)
    channels = image.channels
    bpy.data.images.remove(image)
    return (values.reshape(HEIGHT, WIDTH, channels) * 255 + 0.5).astype(np.uint8)


def generated(name: str, pixels: np.ndarray, **options) -> bpy.types.Image:
    image = bpy.data.images.new(name, WIDTH, HEIGHT, alpha=True, **options)
    image.pixels.foreach_set(pixels.astype(np.float32).ravel())
    return image


def state(image: bpy.types.Image) -> tuple:
    return (
        image.name, image.filepath, image.source, image.is_dirty, image.users, image.packed_file is None,
        image.colorspace_settings.name, tuple(image.pixels),
    )  # fmt: skip


def test(package: Path, folder: Path) -> None:
    install(package)
    check_files(module("operators.image_input"), folder)
    check_choice(module("operators.image_input"))
    check_render(module("operators.image_input"), folder)
    check_tiles(module("operators.image_input"), folder)


def check_files(image_input, folder: Path) -> None:
    bytes_ = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)
    bytes_[0, 0] = (200, 100, 50, 0)  # color under a transparent pixel stays
    image = generated("generated", bytes_ / 255)
    before = state(image)
    assert (read(image_input.image_file(image, folder)) == bytes_).all()
    assert state(image) == before

    path = folder / "Größe mit Leerzeichen.png"
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    loaded = bpy.data.images.load(str(path))
    assert image_input.image_file(loaded, folder) == path and image_input.object_name(loaded) == path.stem
    loaded.pack()
    path.unlink()
    before = state(loaded)
    assert (read(image_input.image_file(loaded, folder)) == bytes_).all(), "a packed image without its file"
    assert state(loaded) == before
    loaded.pixels[0:4] = (1, 1, 1, 1)
    assert tuple(read(image_input.image_file(loaded, folder))[0, 0]) == (255, 255, 255, 255), "unsaved changes are lost"

    linear = np.tile(np.float32((0.5, 0.25, 0.0, 0.5)), (HEIGHT, WIDTH, 1))  # alpha multiplied in
    image = generated("float", linear, float_buffer=True)
    assert tuple(read(image_input.image_file(image, folder))[0, 0]) == (255, 188, 0, 128)

    gone = bpy.data.images.load(str(_write(folder / "gone.png")))
    (folder / "gone.png").unlink()
    before = counts()
    try:
        image_input.image_file(gone, folder)
    except module("backend.errors").UserError as error:
        assert error.code == "bad_image" and "gone.png" in str(error)
    else:
        raise AssertionError("a missing image was used")
    assert counts() == before


def _write(path: Path) -> Path:
    image = generated("short-lived", np.ones((HEIGHT, WIDTH, 4)))
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)
    return path


def check_choice(image_input) -> None:
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    bpy.ops.mesh.primitive_cube_add()
    cube = bpy.context.active_object
    assert image_input.active_image(bpy.context) is None
    try:
        bpy.ops.image_to_mesh.generate()
    except RuntimeError as error:
        assert "Choose an image" in str(error)
    else:
        raise AssertionError("it ran without an image")

    material = bpy.data.materials.new("Painted")
    material.use_nodes = True
    node = material.node_tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.new("on the cube", WIDTH, HEIGHT)
    cube.data.materials.append(material)
    assert image_input.active_image(bpy.context) == node.image
    cube["image_to_mesh"] = {"image": "ours"}
    assert image_input.active_image(bpy.context) is None, "a result's own texture is no input"
    del cube["image_to_mesh"]
    bpy.ops.object.empty_add(type="IMAGE")
    assert image_input.active_image(bpy.context) is None, "an image empty without an image"
    bpy.context.active_object.data = node.image
    assert image_input.active_image(bpy.context) == node.image
    picked = bpy.context.scene.image_to_mesh.image = bpy.data.images.new("picked", WIDTH, HEIGHT)
    assert image_input.active_image(bpy.context) == picked


def check_render(image_input, folder: Path) -> None:
    """The last render is saved as it looks, transparency included, whatever the scene's file format is."""
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    scene = bpy.context.scene
    scene.render.engine, scene.cycles.samples, scene.cycles.use_denoising = "CYCLES", 1, False
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
    scene.render.film_transparent, scene.render.image_settings.file_format = True, "JPEG"
    assert "ender" in refused(bpy.ops.image_to_mesh.use_render)
    scene.camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    scene.collection.objects.link(scene.camera)
    bpy.ops.render.render()
    assert bpy.ops.image_to_mesh.use_render() == {"FINISHED"} and scene.render.image_settings.file_format == "JPEG"
    image = scene.image_to_mesh.image
    assert tuple(image.size) == (WIDTH, HEIGHT) and image.packed_file is not None and image.filepath == "//Render.png"
    assert image_input.active_image(bpy.context) == image
    assert (read(image_input.image_file(image, folder))[..., 3] == 0).all(), "the empty film is not transparent"
    assert "no image on the clipboard" in refused(bpy.ops.image_to_mesh.paste_image)


def check_tiles(image_input, folder: Path) -> None:
    """Of a UDIM image, the first tile is taken."""
    for number in (1001, 1002):
        _write(folder / f"tile.{number}.png")
    image = bpy.data.images.load(str(folder / "tile.1001.png"))
    image.source, image.filepath = "TILED", str(folder / "tile.<UDIM>.png")
    image.tiles.new(1002)
    image.reload()
    image.tiles.active_index = 1
    assert read(image_input.image_file(image, folder)).shape == (HEIGHT, WIDTH, 4)
