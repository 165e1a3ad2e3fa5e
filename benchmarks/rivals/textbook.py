"""The ConVAE by linen's own layers, 2-D convolutions of an image."""

import jax.numpy as jnp
from flax import linen as nn


class ConVAE(nn.Module):
    """``x [J, 30, 3]`` and noise ``[J, L]`` to reconstruction, mean, log-variance."""

    filters: tuple[int, ...]
    hidden: int
    latent: int = 30

    @nn.compact
    def __call__(self, x, noise):
        """As in the publication, with PyTorch's ``Conv2d`` replaced by linen's."""
        h = x.swapaxes(-1, -2)[..., None]
        for i, channels in enumerate(self.filters):
            shape = (3 if i == 0 else 1, 5)
            h = nn.relu(nn.Conv(channels, shape, padding="VALID")(h))
        image = h.shape
        h = nn.relu(nn.Dense(self.hidden)(h.reshape(len(h), -1)))
        mean, logvar = jnp.split(nn.Dense(2 * self.latent)(h), 2, axis=-1)
        h = nn.relu(nn.Dense(self.hidden)(mean + jnp.exp(logvar / 2) * noise))
        h = nn.relu(nn.Dense(image[1] * image[2] * image[3])(h)).reshape(image)
        for channels in self.filters[-2::-1]:
            h = nn.relu(nn.ConvTranspose(channels, (1, 5), padding="VALID")(h))
        h = nn.ConvTranspose(1, (3, 5), padding="VALID")(h)
        return nn.sigmoid(h[..., 0].swapaxes(-1, -2)), mean, logvar
