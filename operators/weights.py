"""Fetch, add and remove weights: requests to a backend process, which Blender never waits for."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import bpy

from ..backend.client import Backend
from ..backend.weights import registry
from ..backend.weights.catalog import CatalogEntry, load_catalog
from ..backend.weights.registry import InstalledWeights
from .backend_location import data_home, is_ready, may_go_online
from .backend_task import BackendTask
from .task_operator import run_task
from .tasks import task_manager
from .text import DIALOG_WIDTH, draw_facts, draw_lines, size_of


class WeightsTask(BackendTask):
    """A change of the installed weights."""

    label = "Weights"

    def clean_up(self) -> None:
        invalidate()


@cache
def installed_weights() -> dict[str, InstalledWeights]:
    """The installed weights by name, as of the last ``invalidate``: panels ask this with every redraw."""
    return registry.installed_weights(data_home())


@cache
def catalog_entries() -> dict[str, CatalogEntry]:
    """The catalog by name."""
    return load_catalog()


def license_word(name: str) -> str:
    """The license of weights in one word."""
    entry = catalog_entries().get(name)
    return entry.license_word if entry else "Unknown"


def license_terms(name: str) -> str:
    """The license of weights as it is stated, with what it restricts."""
    entry, mine = catalog_entries().get(name), installed_weights().get(name)
    return entry.terms if entry else mine.license if mine else "not known"


def has_text_model() -> bool:
    """Whether there is a text-to-image model to choose by itself."""
    return any(mine.kind == "text-to-image" for mine in installed_weights().values())


def invalidate() -> None:
    """Find out anew what is installed."""
    installed_weights.cache_clear()


class _WeightsOperator:
    """Mixin of an operator that changes the installed weights."""

    bl_options = {"INTERNAL"}

    @classmethod
    def poll(cls, context):
        if task_manager().running(WeightsTask):
            cls.poll_message_set("Weights are being installed or removed: wait, or cancel")
            return False
        if not is_ready():
            cls.poll_message_set("The backend is not installed yet")
            return False
        return True

    def run(self, request: Callable[[Backend], int]):
        return run_task(self, WeightsTask(request), wait=bpy.app.background)


class IMAGE_TO_MESH_OT_fetch_weights(_WeightsOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.fetch_weights"
    bl_label = "Fetch Weights"
    bl_description = (
        "Download these weights, and those they depend on, from the model hub. Their licenses are shown first"
    )

    name: bpy.props.StringProperty(name="Name", options={"SKIP_SAVE"})

    @classmethod
    def poll(cls, context):
        return super().poll(context) and may_go_online(cls)

    def invoke(self, context, event):
        if bpy.app.background or self.name not in catalog_entries():
            return self.execute(context)
        return context.window_manager.invoke_props_dialog(
            self, width=DIALOG_WIDTH, title=f"Fetch {self.name}", confirm_text="Fetch"
        )

    def draw(self, context):
        entries = catalog_entries()
        missing = [name for name in entries[self.name].needs if name not in installed_weights()]
        for entry in (entries[self.name], *(entries[name] for name in missing)):
            facts = [("Weights", entry.name), ("For", entry.purpose), ("Download", size_of(entry.bytes))]
            facts += [("From", entry.repo or ""), ("License", entry.terms)]
            draw_facts(context, self.layout, facts, DIALOG_WIDTH)

    def execute(self, context):
        return self.run(lambda backend: backend.fetch_weights(self.name))


class IMAGE_TO_MESH_OT_show_license(bpy.types.Operator):
    bl_idname = "image_to_mesh.show_license"
    bl_label = "License"
    bl_options = {"INTERNAL"}

    name: bpy.props.StringProperty(name="Name", options={"SKIP_SAVE"})

    @classmethod
    def description(cls, context, properties):
        return f"License of {properties.name}: {license_terms(properties.name)}"

    def execute(self, context):
        def draw(menu, context):
            draw_lines(context, menu.layout, license_terms(self.name))

        context.window_manager.popup_menu(draw, title=f"License of {self.name}")
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_add_weights(_WeightsOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.add_weights"
    bl_label = "Add Weights from Disk"
    bl_description = (
        "Install a local file or folder: a Zero123 checkpoint or diffusers folder, a One-2-3-45 or LoFTR checkpoint, "
        "a rembg model, or a text-to-image folder (choose its model_index.json)"
    )

    filepath: bpy.props.StringProperty(name="File or Folder", subtype="FILE_PATH", options={"SKIP_SAVE"})
    filter_glob: bpy.props.StringProperty(
        default="*.ckpt;*.pth;*.safetensors;*.onnx;model_index.json", options={"HIDDEN"}
    )

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context):
        path = bpy.path.abspath(self.filepath)
        return self.run(lambda backend: backend.add_weights(path))


class IMAGE_TO_MESH_OT_remove_weights(_WeightsOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.remove_weights"
    bl_label = "Remove Weights"
    bl_description = "Delete these weights from this computer"

    name: bpy.props.StringProperty(name="Name", options={"SKIP_SAVE"})

    def invoke(self, context, event):
        if bpy.app.background:
            return self.execute(context)
        size = size_of(installed_weights()[self.name].bytes) if self.name in installed_weights() else ""
        return context.window_manager.invoke_confirm(
            self, event, title=f"Remove {self.name}?", message=f"{size} will be freed.", confirm_text="Remove"
        )

    def execute(self, context):
        return self.run(lambda backend: backend.remove_weights(self.name))


class IMAGE_TO_MESH_OT_use_weights(bpy.types.Operator):
    bl_idname = "image_to_mesh.use_weights"
    bl_label = "Use Weights"
    bl_description = "Choose these weights for this scene"
    bl_options = {"INTERNAL", "UNDO"}

    name: bpy.props.StringProperty(name="Name", default="starter", options={"SKIP_SAVE"})

    def execute(self, context):
        settings = context.scene.image_to_mesh
        mine = installed_weights().get(self.name)
        if mine is not None and mine.kind == "text-to-image":
            settings.text_model = self.name
        else:
            settings.weights = self.name
        return {"FINISHED"}


_CLASSES = (
    IMAGE_TO_MESH_OT_fetch_weights,
    IMAGE_TO_MESH_OT_show_license,
    IMAGE_TO_MESH_OT_add_weights,
    IMAGE_TO_MESH_OT_remove_weights,
    IMAGE_TO_MESH_OT_use_weights,
)


def register() -> None:
    invalidate()
    for operator in _CLASSES:
        bpy.utils.register_class(operator)


def unregister() -> None:
    for operator in reversed(_CLASSES):
        bpy.utils.unregister_class(operator)
