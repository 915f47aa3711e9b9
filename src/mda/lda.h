/* lda - quire-mda as local delivery agent of a foreign MTA. */
#ifndef MDA_LDA_H
#define MDA_LDA_H

int lda_main(int argc, char **argv);

#endif
