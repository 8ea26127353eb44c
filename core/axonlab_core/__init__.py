"""What every Axonlab process speaks: the contract, the image formats, the backends."""

__version__ = "0.1.0"
