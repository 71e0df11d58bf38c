"""Rooms with spheres and boxes, cast ray by ray: image, class, depth and normal of each pixel.

The camera stands at the origin and looks along z; y points down. Depth is the distance along z.
"""

import numpy as np

CLASSES = ("floor", "wall", "sphere", "box")
SIZE = 32
_LIGHT = np.array([-0.5, -0.8, -0.4]) / np.linalg.norm([-0.5, -0.8, -0.4])
_FLOOR, _BACK, _NEAR = 1.0, 8.0, 1e-3


def _rays(size):
    """Returns directions through the pixels, `(size, size, 3)`, with z of 1."""
    steps = (np.arange(size) + 0.5) / size * 2 - 1
    x, y = np.meshgrid(steps, steps)
    return np.stack([0.8 * x, 0.8 * y, np.ones_like(x)], axis=-1)


def _sphere(rays, center, radius):
    """Returns depth, infinite where the sphere is missed, and normals."""
    a, b = (rays**2).sum(-1), rays @ center
    root = b**2 - a * (center @ center - radius**2)
    depth = np.where(root > 0, (b - np.sqrt(np.maximum(root, 0))) / a, np.inf)
    depth = np.where(depth > _NEAR, depth, np.inf)
    hit = np.where(np.isfinite(depth), depth, 0)[..., None] * rays
    return depth, (hit - center) / radius


def _box(rays, center, half):
    """Returns depth and normals of a box whose sides are parallel to the axes, by slabs."""
    with np.errstate(divide="ignore", invalid="ignore"):
        sides = np.stack([(center - half) / rays, (center + half) / rays])  # (2, size, size, 3)
    entry, leave = sides.min(axis=0), sides.max(axis=0)
    depth, side = entry.max(-1), entry.argmax(-1)
    depth = np.where((depth < leave.min(-1)) & (depth > _NEAR), depth, np.inf)
    normals = -np.sign(np.take_along_axis(rays, side[..., None], -1)) * np.eye(3)[side]
    return depth, normals


def draw(rng, size=SIZE, objects=7):
    """Draws one scene: its image, classes, depth and normals."""
    rays = _rays(size)
    with np.errstate(divide="ignore"):
        floor = np.where(rays[..., 1] > 0, _FLOOR / rays[..., 1], np.inf)
    layers = [
        (0, floor, np.broadcast_to([0.0, -1, 0], rays.shape)),
        (1, np.full(rays.shape[:2], _BACK), np.broadcast_to([0.0, 0, -1], rays.shape)),
    ]
    for _ in range(objects):
        radius, z = rng.uniform(0.3, 0.7), rng.uniform(1.5, 4.5)
        center = np.array([rng.uniform(-0.6, 0.6) * z, _FLOOR - radius, z])
        if rng.random() < 0.5:
            layers.append((2, *_sphere(rays, center, radius)))
        else:
            layers.append((3, *_box(rays, center, radius * rng.uniform(0.6, 1, 3))))
    depths = np.stack([depth for _, depth, _ in layers])
    nearest = depths.argmin(axis=0)
    depth = depths.min(axis=0)
    kinds = np.array([kind for kind, _, _ in layers])[nearest]
    normals = np.stack([normal for _, _, normal in layers])
    normals = np.take_along_axis(normals, nearest[None, ..., None], axis=0)[0]
    # Surfaces have colors of their own, whatever their class: color alone tells nothing.
    colors = rng.uniform(0.2, 1, (len(layers), 3))[nearest]
    light = 0.35 + 0.65 * np.maximum(normals @ _LIGHT, 0)
    image = colors * light[..., None] + rng.normal(0, 0.03, rays.shape)
    return image, kinds, depth, normals


def make(scenes, seed, size=SIZE):
    """Returns images and labels by task of so many scenes; depth is a logarithm of meters."""
    rng = np.random.default_rng(seed)
    images, kinds, depths, normals = map(
        np.stack, zip(*(draw(rng, size) for _ in range(scenes)), strict=True)
    )
    labels = {
        "parts": kinds.astype("int64"),
        "depth": np.log(depths)[..., None].astype("float32"),
        "normals": normals.astype("float32"),
    }
    return images.astype("float32"), labels
