"""Objectives of self-supervision, each a function that gives a loss per image.

A loss per image, not of the batch, is what lets a reducer weigh groups and a test compare one
image's loss with a hand computation. A new objective is a file here and a name in
`equipoise.training.LOSSES`.
"""
