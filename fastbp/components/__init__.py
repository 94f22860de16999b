"""What a user chooses by name or object: losses, activations, optimizers, schedules, options.

Each says on itself what it accepts and needs. Uses common and the kernels' codes and tables.
"""
