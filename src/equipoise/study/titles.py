"""What each stage does, in a line: for help that imports no stage."""

TITLES = {
    "phantoms": "Draw radiographs with a known truth and declared biases, as DICOM.",
    "ingest": "Read DICOM, or images with a table, into a cohort and an image cache.",
    "document": "Count who is in the data, and test for leakage and shortcuts.",
    "curate": "Split by patient, freeze the split by its digest, balance by weights.",
    "embed": "Turn each image into a vector with a frozen encoder.",
    "adapt": "Fit probes with and without mitigation; select; lock operating points.",
    "audit": "Count and estimate performance for every declared subgroup.",
    "gate": "Hold the estimates against a policy and give the verdict.",
    "release": "Make a bundle of a model that passed, or that an override lets go.",
    "accept": "Test a bundle on local data: power first, then shift, then its scores.",
    "monitor": "Watch a model in use: alarms, early warnings, drift, late labels.",
    "report": "Write one self-contained HTML page of it all.",
}
"""Stage → what it does, in the order of the way of the data."""
