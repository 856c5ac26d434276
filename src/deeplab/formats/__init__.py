"""Label maps as other tools' annotations: COCO, YOLO, CVAT and Label Studio."""

from deeplab.formats.coco import coco_document
from deeplab.formats.convert import FORMATS, convert
from deeplab.formats.cvat import write_cvat
from deeplab.formats.label_studio import Control, brush_mask, brush_runs, label_studio_results, label_studio_tasks
from deeplab.formats.labelled import Labelled, read_labelled
from deeplab.formats.options import Options
from deeplab.formats.polygons import polygons_of
from deeplab.formats.regions import Region, components_of, regions_of
from deeplab.formats.runs import compress_runs, runs_of
from deeplab.formats.yolo import yolo_lines, yolo_names

__all__ = [
    "FORMATS", "Control", "Labelled", "Options", "Region", "brush_mask", "brush_runs", "coco_document",
    "components_of", "compress_runs", "convert", "label_studio_results", "label_studio_tasks", "polygons_of",
    "read_labelled", "regions_of", "runs_of", "write_cvat", "yolo_lines", "yolo_names",
]  # fmt: skip
