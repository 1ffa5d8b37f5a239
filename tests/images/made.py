"""DICOM files made for the tests, a few pixels each."""

import io

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian


def dataset(values, *, bits=12, signed=False, **attributes):
    """Return a dataset with stored `values`, 16 bits allocated."""
    values = np.asarray(values)
    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    made.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    made.SOPClassUID, made.SOPInstanceUID = ComputedRadiographyImageStorage, "1.2.3"
    made.StudyInstanceUID, made.PatientID, made.Modality = "1.2", "p1", "CR"
    made.Rows, made.Columns = values.shape[:2]
    made.SamplesPerPixel = 1 if values.ndim == 2 else 3
    made.PhotometricInterpretation = "MONOCHROME2" if values.ndim == 2 else "RGB"
    made.BitsAllocated, made.BitsStored, made.HighBit = 16, bits, bits - 1
    made.PixelRepresentation = int(signed)
    if values.ndim == 3:
        made.PlanarConfiguration = 0
        made.BitsAllocated, made.BitsStored, made.HighBit = 8, 8, 7
    kind = "<u1" if made.BitsAllocated == 8 else "<i2" if signed else "<u2"
    made.PixelData = values.astype(kind).tobytes()
    made["PixelData"].VR = "OB" if made.BitsAllocated == 8 else "OW"
    for keyword, value in attributes.items():
        setattr(made, keyword, value)
    return made


def encoded(made):
    """Return the bytes of the file."""
    buffer = io.BytesIO()
    made.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def dicom(values, **options):
    """Return the bytes of a DICOM file with stored `values`."""
    return encoded(dataset(values, **options))
