/* Classifies one image with a network that spikec wrote as C.
 *
 *     classify [FILE]
 *
 * FILE (or the standard input) holds the image as text: net_INPUTS real numbers in the units that the network was
 * trained with, in the order channel, row, column, with white space between them. Prints the class, the steps that the
 * network ran and its output. Made for networks of one output with a number for each class.
 */
#include <stdio.h>

#include "net.h"

/* All memory of the network. It is static because it may be larger than the stack of a small machine. */
static net_state network;

static int read_image(FILE *from, float *image)
{
    int n;
    for (n = 0; n < net_INPUTS; ++n) {
        if (fscanf(from, "%f", &image[n]) != 1) {
            fprintf(stderr, "the image ends after %d numbers; the network reads %d\n", n, net_INPUTS);
            return 0;
        }
    }
    return 1;
}

int main(int argc, char **argv)
{
    static float image[net_INPUTS];
    static net_in coded[net_INPUTS];
    static net_out output[net_OUTPUTS];
    FILE *from = stdin;
    int n, complete;
    int32_t found, missing;

    if (argc > 1 && (from = fopen(argv[1], "r")) == NULL) {
        fprintf(stderr, "%s cannot be read; give the name of a text file with the image\n", argv[1]);
        return 1;
    }
    complete = read_image(from, image);
    if (from != stdin) fclose(from);
    if (!complete) return 1;

    missing = net_encode(coded, image); /* real numbers to the integers that the network reads */
    if (missing > 0) {
        fprintf(stderr, "%d numbers of the image are not finite; give real numbers\n", (int)missing);
        return 1;
    }
    found = net_classify(&network, coded); /* runs all steps */
    net_output(&network, output);
    printf("class %d after %d steps\noutput", (int)found, (int)network.step);
    for (n = 0; n < net_OUTPUTS; ++n) printf(" %lld", (long long)output[n]);
    printf("\n");
    return 0;
}
