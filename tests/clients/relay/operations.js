// What an application's modules ask for, as relay-compiler reads it. Each operation is named after this module.
import { graphql } from 'relay-runtime';

export const page = graphql`
  query operationsPageQuery($limit: Int!) {
    products(limit: $limit) {
      id
      name
      price
      ...operations_reviews
    }
  }
`;

export const reviews = graphql`
  fragment operations_reviews on Product {
    reviews(first: 2) {
      id
      rating
      user {
        id
        name
      }
    }
  }
`;

export const rename = graphql`
  mutation operationsRenameMutation($id: ID!, $name: String!) {
    updateUser(id: $id, input: { name: $name }) {
      id
      name
    }
  }
`;
