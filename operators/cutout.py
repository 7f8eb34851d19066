"""What a person decides about a cutout that is shown before its job goes on."""

from __future__ import annotations

import bpy

from ..backend.options import Options
from . import mask_painting
from .cutout_check import CutoutCheck
from .reconstruction import ReconstructionTask
from .reporting import report_error
from .tasks import task_manager

METHODS = {"auto": "Automatic", "alpha": "Transparency", "model": "Background-Removal Model", "grabcut": "GrabCut"}


def shown_check() -> CutoutCheck | None:
    """The cutout that waits for a decision."""
    task = task_manager().running(ReconstructionTask)
    return task.check if task is not None and task.check is not None and task.check.is_shown else None


class _CutoutOperator:
    """Mixin of an operator for the cutout that is shown."""

    @classmethod
    def poll(cls, context):
        if shown_check() is None:
            cls.poll_message_set("No cutout waits to be checked")
            return False
        return True

    def execute(self, context):
        try:
            self.run(context, shown_check())
        except Exception as error:
            return report_error(self, error)
        return {"FINISHED"}


class IMAGE_TO_MESH_OT_cutout_go_on(_CutoutOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.cutout_go_on"
    bl_label = "Go On"
    bl_description = "Make the mesh of this cutout, as it has been painted"
    bl_options = {"INTERNAL", "UNDO"}

    @classmethod
    def poll(cls, context):
        check = shown_check()
        if check is not None and not check.found and mask_painting.find(check) is None:
            cls.poll_message_set("No object was found: paint it, or cut it out in another way")
            return False
        return super().poll(context)

    def run(self, context, check):
        image = mask_painting.find(check)
        check.go_on(mask_painting.write_mask(image, check) if image is not None else None)
        mask_painting.end(check)


class IMAGE_TO_MESH_OT_cutout_wait(_CutoutOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.cutout_wait"
    bl_label = "Wait"
    bl_description = "Do not go on before Go On is pressed"
    bl_options = {"INTERNAL"}

    def run(self, context, check):
        check.wait()


class IMAGE_TO_MESH_OT_cut_out_by(_CutoutOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.cut_out_by"
    bl_label = "Another Method"
    bl_description = "Cut the object out in another way"
    bl_options = {"INTERNAL", "UNDO"}

    method: bpy.props.EnumProperty(
        name="Method",
        description=Options.__dataclass_fields__["cutout"].metadata["help"],
        items=[(method, label, "") for method, label in METHODS.items()],
        options={"SKIP_SAVE"},
    )

    def run(self, context, check):
        mask_painting.end(check)
        task_manager().running(ReconstructionTask).cut_out_again(self.method)


class IMAGE_TO_MESH_OT_paint_mask(_CutoutOperator, bpy.types.Operator):
    bl_idname = "image_to_mesh.paint_mask"
    bl_label = "Paint Mask"
    bl_description = (
        "Paint on the cutout in an Image Editor: Erase Alpha takes something away, Add Alpha brings it back"
    )
    bl_options = {"INTERNAL", "UNDO"}

    @classmethod
    def poll(cls, context):
        check = shown_check()
        if check is not None and check.is_draft:
            cls.poll_message_set("The cutout is still being made")
            return False
        return super().poll(context)

    def run(self, context, check):
        check.wait()
        mask_painting.begin(context, check)


register, unregister = bpy.utils.register_classes_factory(
    (
        IMAGE_TO_MESH_OT_cutout_go_on,
        IMAGE_TO_MESH_OT_cutout_wait,
        IMAGE_TO_MESH_OT_cut_out_by,
        IMAGE_TO_MESH_OT_paint_mask,
    )
)
