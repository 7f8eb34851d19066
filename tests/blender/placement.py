"""A result stands where it is seen, and what an artist has set stays: mode, selection, collection, material."""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from common import check_object, counts, install, module, write_job_folder


def test(package: Path, folder: Path) -> None:
    install(package)
    scene = module("operators.scene")
    write_job_folder(folder / "job")  # 1 x 0.5 x 0.25 m
    check_neighbors(scene, folder / "job")
    check_collections(scene, folder / "job")
    check_modes(scene, folder / "job")
    check_appearance(scene, folder / "job")
    check_new_mesh(scene, folder / "job")


def empty_file():
    bpy.ops.wm.read_homefile(use_empty=True, use_factory_startup=True)
    return bpy.context


def check_neighbors(scene, job: Path) -> None:
    """Beside what it would stand in; at the cursor where only surroundings or hidden things are."""
    context = empty_file()
    bpy.ops.mesh.primitive_cube_add(size=2)  # as in a new file
    cube = context.active_object
    obj = scene.add_object(context, job, "Cup", {})
    assert tuple(obj.location)[1:] == (0, 0) and 0 < obj.location.x - 0.5 - 1 < 0.5, obj.location
    second = scene.add_object(context, job, "Cup", {})
    assert second.location.x > obj.location.x + 1, second.location
    context.scene.cursor.location = (0, 0, 1)
    on_top = scene.add_object(context, job, "Cup", {})
    assert tuple(on_top.location) == (0, 0, 1), "it stands on the cube, not in it"

    for hide in (lambda: cube.hide_set(True), lambda: setattr(cube, "hide_viewport", True)):
        bpy.data.batch_remove([obj, second, on_top])
        cube.hide_set(False)
        hide()
        context.scene.cursor.location = (0, 0, 0)
        obj = scene.add_object(context, job, "Cup", {})
        assert tuple(obj.location) == (0, 0, 0), "it avoids what nobody sees"
        second = scene.add_object(context, job, "Cup", {})
        on_top = scene.add_object(context, job, "Cup", {})
        assert 1 < second.location.x < 1.5 and 2 < on_top.location.x < 3

    context = empty_file()
    bpy.ops.mesh.primitive_plane_add(size=50)
    bpy.ops.mesh.primitive_cube_add(size=8, location=(0, 0, 3))  # a room
    bpy.ops.object.light_add(type="POINT")
    bpy.ops.object.camera_add()
    bpy.ops.object.empty_add()
    obj = scene.add_object(context, job, "Cup", {})
    assert tuple(obj.location) == (0, 0, 0), obj.location


def check_collections(scene, job: Path) -> None:
    """In the active collection; in the scene's own where the active one shows nothing."""
    context = empty_file()
    props, hidden, excluded = (bpy.data.collections.new(name) for name in ("Props", "Hidden", "Excluded"))
    layer = context.view_layer.layer_collection
    for collection in (props, hidden, excluded):
        context.scene.collection.children.link(collection)
    layer.children["Hidden"].hide_viewport = True
    layer.children["Excluded"].exclude = True
    for active, expected in (("Props", props), ("Hidden", None), ("Excluded", None)):
        context.view_layer.active_layer_collection = layer.children[active]
        obj = scene.add_object(context, job, active, {}, camera=True)
        (collection,) = obj.users_collection
        assert collection == (expected or context.scene.collection), (active, collection)
        assert obj.visible_get() and context.view_layer.objects.active == obj


def check_modes(scene, job: Path) -> None:
    for mode in ("EDIT", "SCULPT", "WEIGHT_PAINT", "OBJECT"):
        context = empty_file()
        bpy.ops.mesh.primitive_cube_add()
        bpy.ops.mesh.primitive_cube_add(location=(3, 0, 0))
        bpy.ops.object.select_all(action="SELECT")
        active, selected = context.active_object, set(context.selected_objects)
        bpy.ops.object.mode_set(mode=mode)
        obj = scene.add_object(context, job, "Cup", {})
        assert active.mode == mode and obj.name in context.view_layer.objects
        if mode == "OBJECT":
            assert context.active_object == obj and context.selected_objects == [obj]
            continue
        assert context.active_object == active and set(context.selected_objects) == selected, mode
        bpy.ops.object.mode_set(mode="OBJECT")
        check_object(obj)


def check_appearance(scene, job: Path) -> None:
    """Solid mode shows the texture's mean color, and the material is as rough as in the GLB."""
    context = empty_file()
    material = scene.add_object(context, job, "Cup", {}).data.materials[0]
    red, green, blue, alpha = material.diffuse_color  # 2 of 12 triangles are red, the others blue
    assert np.allclose((red, green, blue, alpha), (1 / 6, 0, 5 / 6, 1), atol=0.01), tuple(material.diffuse_color)
    surface = next(node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED")
    assert np.isclose(surface.inputs["Roughness"].default_value, 0.8) and np.isclose(material.roughness, 0.8)
    color = surface.inputs["Base Color"]
    for linked in (False, True):
        assert bpy.ops.image_to_mesh.textureless() == {"FINISHED"} and color.is_linked == linked
    assert np.allclose(color.default_value, material.diffuse_color)
    check_object(context.active_object)


def check_new_mesh(scene, job: Path) -> None:
    """Remeshing keeps an artist's materials, names and linked duplicates, and leaves nothing behind."""
    context = empty_file()
    obj = scene.add_object(context, job, "Cup", {})
    material = obj.data.materials[0]
    material.name, obj.data.name, obj.name = "Glaze", "Cup Mesh", "Hero"
    tree = material.node_tree
    surface = next(node for node in tree.nodes if node.type == "BSDF_PRINCIPLED")
    surface.inputs["Roughness"].default_value = 0.1
    texture = next(node for node in tree.nodes if node.type == "TEX_IMAGE" and not node.label)
    texture.image.name = "Glaze Color"
    own = tree.nodes.new("ShaderNodeTexImage")
    own.image = bpy.data.images.new("Artist's", 8, 8)
    obj.data.materials.append(bpy.data.materials.new("Second"))
    twin = bpy.data.objects.new("Twin", obj.data)
    context.collection.objects.link(twin)
    before = counts()

    scene.replace_mesh(obj, job, {})
    assert counts() == before, (before, counts())
    assert [slot.name for slot in obj.data.materials] == ["Glaze", "Second"] and obj.data.materials[0] == material
    assert (obj.name, obj.data.name, texture.image.name) == ("Hero", "Cup Mesh", "Glaze Color")
    assert twin.data == obj.data and own.image.name == "Artist's" and texture.image.packed_file is not None
    assert np.isclose(surface.inputs["Roughness"].default_value, 0.1)

    statue = bpy.data.objects.new("Statue", obj.data.copy())  # shares the material, not the mesh
    context.collection.objects.link(statue)
    old = texture.image
    scene.replace_mesh(obj, job, {})
    assert statue.data.materials[0] == material and texture.image == old
    assert obj.data.materials[0] != material and twin.data == obj.data

    obj.data.materials.clear()
    scene.replace_mesh(obj, job, {})
    check_object(obj)
