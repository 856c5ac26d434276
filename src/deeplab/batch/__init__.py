"""Many photos in, files out: which are meant, what is done already, the work on all cores or on a cluster."""

from deeplab.batch.jobs import Job, Plan, finish, plan_jobs
from deeplab.batch.manifest import Manifest, Origin
from deeplab.batch.photos import MANIFEST_NAME, find_photos
from deeplab.batch.remote import RemotePhoto, find_remote_photos, is_address
from deeplab.batch.results import Result, Settings, segment_photo
from deeplab.batch.workers import end_if_busy, in_order

__all__ = [
    "MANIFEST_NAME", "Job", "Manifest", "Origin", "Plan", "RemotePhoto", "Result", "Settings", "end_if_busy",
    "find_photos", "find_remote_photos", "finish", "in_order", "is_address", "plan_jobs", "segment_photo",
]  # fmt: skip
