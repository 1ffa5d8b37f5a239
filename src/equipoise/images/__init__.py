"""From a file to pixels: the only importer of pydicom beside the phantoms.

A file becomes a `Picture`, what a reader would see on a screen, and its header facts; then
`sized` brings it to the one size of a cohort. What cannot be read is an `InvalidImage`.
"""

from equipoise.images.ages import age_years, band
from equipoise.images.batches import Decoded, Form, decoded, pixels_decoded
from equipoise.images.dicoms import read_dicom
from equipoise.images.pictures import Fit, Frame, Picture, sized, thumbnails
from equipoise.images.rasters import RASTER_ENDINGS, read_raster

__all__ = [
    "RASTER_ENDINGS",
    "Decoded",
    "Fit",
    "Form",
    "Frame",
    "Picture",
    "age_years",
    "band",
    "decoded",
    "pixels_decoded",
    "read_dicom",
    "read_raster",
    "sized",
    "thumbnails",
]
