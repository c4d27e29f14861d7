/* Runs the images of one file through a generated network and compares its outputs with those of another file. All
   memory lies on the heap, alone, where a sanitizer sees every access beside it. */
#include "net.h"
#include <stdio.h>
#include <stdlib.h>

/* check IMAGES OUTPUTS: net_in [N][net_INPUTS], int64_t [N][net_OUTPUTS]. Prints images run and outputs that differ. */
int main(int argc, char **argv) {
    FILE *images = argc == 3 ? fopen(argv[1], "rb") : NULL;
    FILE *outputs = argc == 3 ? fopen(argv[2], "rb") : NULL;
    net_state *state = malloc(sizeof *state);
    net_in *image = malloc(net_INPUTS * sizeof *image);
    net_out *output = malloc(net_OUTPUTS * sizeof *output);
    int64_t *expected = malloc(net_OUTPUTS * sizeof *expected);
    long run = 0, differ = 0;
    if (!images || !outputs || !state || !image || !output || !expected) return 2;
    while (fread(image, sizeof *image, net_INPUTS, images) == net_INPUTS) {
        if (fread(expected, sizeof *expected, net_OUTPUTS, outputs) != net_OUTPUTS) return 2;
        net_run(state, image);
        net_output(state, output);
        for (int k = 0; k < net_OUTPUTS; ++k) differ += output[k] != expected[k];
        ++run;
    }
    free(state);
    free(image);
    free(output);
    free(expected);
    fclose(images);
    fclose(outputs);
    printf("%ld %ld\n", run, differ);
    return 0;
}
