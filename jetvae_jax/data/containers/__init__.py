"""Containers of columns: HDF5, npz, Parquet, ROOT."""
