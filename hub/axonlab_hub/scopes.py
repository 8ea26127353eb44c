"""The scopes of hub tokens that mean something to Axonlab."""

ACCESS = "access:services!service=axonlab"
"""To reach the service at all."""
SUBMIT = "custom:axonlab:submit"
"""To submit jobs and see one's own."""
RUN = "custom:axonlab:run"
"""To take jobs and carry them out."""
