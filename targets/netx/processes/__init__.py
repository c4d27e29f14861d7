"""The netx loader and nothing else: Lava's compiler executes every module of this folder to find models."""
