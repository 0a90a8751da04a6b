"""What the VAE's trial function declares to a sweep. Imports no torch, as `models.config`."""

from orchestrator.functions.declaration import Declaration, Incomparable, Metric, Picture, Plane, Tiles, Tolerance

SSIM_WITHIN, MSE_WITHIN = Tolerance(0.02), Tolerance(0.15, relative=True)
SSIM = "Structural similarity of images and their reconstructions: 1 where they are the same."
MSE = "The mean squared difference of images and their reconstructions, pixel by pixel."
KL = "Kullback-Leibler divergence: how far the code of an image is from the prior, in nats; 0 where it says nothing."
RECON = "The squared error of a reconstruction over twice the decoder's variance, per image."
LOSS = "What training makes small: the error of reconstructions (recon) and the KL divergence (kl), per image."
IMAGES = Tiles(columns=10, side=28)

DECLARATION = Declaration(
    version=2,
    metrics=(
        Metric("val_ssim", "maximize", tolerance=SSIM_WITHIN, text=f"{SSIM} Of images of the validation set."),
        Metric("val_mse", "minimize", tolerance=MSE_WITHIN, text=f"{MSE} Of images of the validation set."),
        Metric("val_nll", "minimize", text="An estimate of how unlikely an image is to the model, in nats."),
    ),
    final=(
        Metric("ssim", "maximize", "SSIM", SSIM_WITHIN, SSIM),
        Metric("mse", "minimize", "MSE", MSE_WITHIN, MSE),
    ),
    words={
        "KL": KL,
        "SSIM": SSIM,
        "MSE": MSE,
        "train_kl": f"{KL} Of the images that were learned from.",
        "val_kl": f"{KL} Of images of the validation set.",
        "train_recon": f"{RECON} Of the images that were learned from.",
        "val_recon": f"{RECON} Of images of the validation set.",
        "train_loss": f"{LOSS} Of the images that were learned from.",
        "val_loss": f"{LOSS} Of images of the validation set.",
        "grad_norm": "The length of the gradient of all weights, before a step.",
    },
    diagnoses=("dead decoder", "posterior collapse", "no better than the mean image"),
    rate="images_per_second",
    pace=("dataset", "architecture", "num_layers", "batch_size", "precision"),
    # oneDNN's threads spin while they wait for each other within a convolution
    one_thread={"precision": ("bf16",)},
    incomparable=(
        Incomparable(
            metrics=("train_loss", "train_recon", "val_loss", "val_recon"),
            between=("var",),
            reason="depends on var",
            instead=("val_ssim", "val_mse", "val_nll"),
        ),
    ),
    stack_by=("var", "lr", "seed"),
    checkpoints=("checkpoint.*",),
    extendable=True,  # Adam with a constant rate, and random numbers that are seeded epoch by epoch
    pictures=(
        Picture(
            name="reconstructions",
            title="Reconstructions of the same ten test images",
            text="Reconstructions of images of the test set",
            tiles=IMAGES,
            has_originals=True,
            by_epoch=True,
        ),
        Picture(
            name="samples",
            title="Samples from the prior",
            text="Images decoded from samples of the prior",
            tiles=IMAGES,
            by_epoch=True,
        ),
        Picture(
            name="traversal",
            title="Latent traversals",
            text="Latent traversals: images decoded while a single dimension of the latent code varies",
        ),
    ),
    plane=Plane(
        title="Rate against distortion",
        x=Metric("val_mse", title="distortion: validation MSE"),
        y=Metric("val_kl", title="rate: KL divergence, nats per image"),
        along="var",
        text="The rate (KL divergence of the latent code) over the distortion (MSE of the reconstructions), on "
        "validation images at the last epoch.",
    ),
    prepare="models.train:prepare",
    stacked="models.stacked:train_stacked",
    export="models.export:export",
)
