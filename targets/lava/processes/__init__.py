"""Lava Processes and their CPU models, and nothing else.

Lava's compiler executes every module of this folder to find models, so a module here must be free of side effects
and import its neighbours by absolute name.
"""
